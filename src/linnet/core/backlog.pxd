cimport cython

@cython.final
cdef class Backlog:
    cdef public long long bytes
    cdef public object count
    cdef public long long in_flight
    cdef public bint knows_no_refusal
    cdef public long long max_queued_bytes
    cdef public long long max_queued_messages
    cdef public long long max_store_bytes
    cdef public long long messages
    cdef public dict overfull
    cdef public list policies
    cdef public str policy
    cdef public dict slow
    cdef public int verdict
    cdef public list waiters
