cdef class Receiver:
    cdef public Py_ssize_t maximum
    cdef public dict unreleased

    cpdef bint is_repeated(self, int packet_id) except -1
    cpdef void check_quota(self) except *
    cpdef void keep(self, int packet_id) except *
    cpdef bint release(self, int packet_id) except -1
