cimport cython

from linnet.core.arrivals cimport Arrival
from linnet.core.received cimport Received

cdef int PROCESSED
cdef int ARRIVAL
cdef int DROP_OLDEST
cdef int WAIT

cdef class Valve:
    cdef public object connection
    cdef public object enter
    cdef public dict held
    cdef public bint is_closed

cdef class Inbox:
    cdef public int acknowledges
    cdef public object codec
    cdef public long long dropped
    cdef public bint ended
    cdef public object fault
    cdef public Py_ssize_t limit
    cdef public list orphans
    cdef public int policy
    cdef public object queue
    cdef public dict readers
    cdef public long long received
    cdef public object tell
    cdef public Valve valve
    cdef public object waiters
    cdef public Py_ssize_t zeros

    cpdef put(self, Received message)
    cpdef bint make_room(self, str topic) except -1
    cpdef wake(self)
    @cython.locals(message=Received)
    cpdef Received take(self)

cdef class Reader:
    cdef public Received current
    cdef public Inbox inbox
    cdef public bint is_for_one

    @cython.locals(message=Received)
    cpdef processed(self)
