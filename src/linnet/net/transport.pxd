cimport cython

from linnet.net.stream cimport Stream

cdef int IN
cdef int OUT
cdef int READ_SIZE

cdef class SocketTransport:
    cdef public int fd
    cdef public bint has_ended
    cdef public bint is_closing
    cdef public bint is_reading
    cdef public object loop
    cdef public object pending
    cdef public object read
    cdef public object send
    cdef public object sock
    cdef public Stream stream
    cdef public bint wants_eof
    cdef public object watch

    cpdef ready(self, int bits)
    @cython.locals(data=bytes)
    cpdef readable(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef write(self, bytes data)
