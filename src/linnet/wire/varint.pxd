cimport cython

cdef list SHORT

@cython.locals(encoded=bytearray)
cpdef bytes encode_varint(long long value)
