from linnet.wire.publish cimport Publish

cdef Py_ssize_t MOST_ROUTES

cdef class Routes:
    cdef public dict by_identifiers
    cdef public dict by_topic
    cdef public object look_up

    cpdef object find(self, Publish message)
