cimport cython

@cython.final
cdef class FrameReader:
    cdef public bytes after
    cdef public Py_ssize_t after_at
    cdef public bytes data
    cdef public Py_ssize_t body
    cdef public int header
    cdef public Py_ssize_t maximum
    cdef public Py_ssize_t missing
    cdef public list pieces
    cdef public Py_ssize_t position
    cdef public Py_ssize_t start
    cdef public Py_ssize_t stop

    cpdef feed(self, bytes data)
    cdef gather(self, bytes data)
    @cython.locals(octets="const unsigned char *", left=Py_ssize_t, start=Py_ssize_t, at=Py_ssize_t, remaining=Py_ssize_t)
    cpdef bint next(self) except -1
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, value=Py_ssize_t, octet=int, index=int)
    cdef Py_ssize_t long_length(self) except -1
