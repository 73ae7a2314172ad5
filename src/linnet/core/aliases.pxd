cimport cython

@cython.final
cdef class IncomingAliases:
    cdef public int maximum
    cdef public dict topics

    @cython.locals(known=bytes)
    cpdef bytes resolve(self, int alias, bytes topic_name)

@cython.final
cdef class OutgoingAliases:
    cdef public Py_ssize_t maximum
    cdef public dict numbers

    @cython.locals(numbers=dict, number=int, known=bint)
    cpdef tuple use(self, bytes topic_name)
