from linnet.wire.publish cimport Publish

cdef class Received(Publish):
    cdef public object arrival
    cdef public object codec

    cpdef let_go(self, int reason_code)
