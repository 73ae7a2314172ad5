cimport cython

from linnet.client.inbox cimport Valve
from linnet.client.outcomes cimport Outcomes
from linnet.client.publishing cimport Publisher
from linnet.core.client_connection cimport ClientConnection
from linnet.core.outbox cimport Outbox

cdef class Line:
    cdef public object alarm
    cdef public object answered
    cdef public ClientConnection connection
    cdef public object handshake
    cdef public bint has_ended
    cdef public bint is_blocked
    cdef public bint is_closing
    cdef public bint is_open
    cdef public object loop
    cdef public object lost
    cdef public list marked
    cdef public double now
    cdef public Outbox outbox
    cdef public Publisher publisher
    cdef public object task
    cdef public object transport
    cdef public Valve valve
    cdef public int window
    cdef public int writes

    cpdef double begin(self) except -1
    @cython.locals(publisher=Publisher, outbox=Outbox)
    cpdef flush(self)
    @cython.locals(now=double)
    cpdef data_received(self, bytes data)
