cimport cython

cdef int READ_SIZE

cdef class SocketTransport:
    cdef public bint has_ended
    cdef public bint is_closing
    cdef public object loop
    cdef public object peer
    cdef public object pending
    cdef public object read
    cdef public object send
    cdef public object sock
    cdef public object stream
    cdef public bint wants_eof

    cpdef readable(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef write(self, bytes data)
