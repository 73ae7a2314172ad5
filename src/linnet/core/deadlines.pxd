cimport cython

@cython.final
cdef class Deadline:
    cdef public object action
    cdef public double at
    cdef public long long order
