cimport cython

@cython.final
cdef class Receiver:
    cdef public Py_ssize_t maximum
    cdef public dict unreleased

    cpdef bint is_repeated(self, int packet_id) except -1
    cpdef check_quota(self)
    cpdef keep(self, int packet_id)
    cpdef bint release(self, int packet_id) except -1
