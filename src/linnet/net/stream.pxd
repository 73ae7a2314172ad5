cimport cython

from linnet.core.connection cimport Connection
from linnet.core.outbox cimport Outbox
from linnet.net.turn cimport Turn

@cython.final
cdef class Stream:
    cdef public Connection connection
    cdef public bint has_ended
    cdef public bint is_blocked
    cdef public bint is_closing
    cdef public bint is_holding
    cdef public object listener
    cdef public Outbox outbox
    cdef public object stall
    cdef public object task
    cdef public object timer
    cdef public object transport
    cdef public Turn turn
    cdef public long long unsent_before

    @cython.locals(connection=Connection, now=double)
    cpdef data_received(self, data)
    @cython.locals(outbox=Outbox)
    cpdef write(self)
