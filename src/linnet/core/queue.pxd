cimport cython

from linnet.core.backlog cimport Backlog
from linnet.wire.message cimport Message

@cython.final
cdef class Queue:
    cdef public Backlog backlog
    cdef public long long bytes
    cdef public object deliveries
    cdef public list held

    @cython.locals(backlog=Backlog)
    cpdef bint is_full(self, Py_ssize_t weight) except -1
    @cython.locals(backlog=Backlog, message=Message, weight=Py_ssize_t)
    cpdef bint put(self, object delivery, object statistics, bint has_receiver) except -1
    cpdef object take(self)
    cpdef relax(self)
    @cython.locals(backlog=Backlog, message=Message, weight=Py_ssize_t)
    cpdef weigh_out(self, object delivery)
