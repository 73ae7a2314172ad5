cimport cython

from linnet.core.outbox cimport Outbox

@cython.final
cdef class Turn:
    cdef public object clock
    cdef public list closing
    cdef public object core
    cdef public object empty
    cdef public bint is_open
    cdef public bint is_scheduling
    cdef public object loop
    cdef public double now
    cdef public object opened
    cdef public double patience
    cdef public object settings
    cdef public dict streams
    cdef public set tasks
    cdef public object timer
    cdef public object unwritten

    cpdef double begin(self) except -1
    @cython.locals(outbox=Outbox, marked=list)
    cpdef end(self)
