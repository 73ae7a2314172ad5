cimport cython

from linnet.wire.message cimport Message

cdef class Publication:
    cdef public object fault
    cdef public long long key
    cdef public Message message
    cdef public object publisher
    cdef public int reason_code
    cdef public str state
    cdef public list waiters
    cdef public bint was_sent

    cpdef finish(self, str state, object fault)
