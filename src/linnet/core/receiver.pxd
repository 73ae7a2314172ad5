cdef class Receiver:
    cdef public Py_ssize_t maximum
    cdef public dict unreleased

    cpdef bint is_repeated(self, int packet_id) except -1
    cpdef int check_quota(self) except -1
    cpdef int keep(self, int packet_id) except -1
    cpdef bint release(self, int packet_id) except -1
