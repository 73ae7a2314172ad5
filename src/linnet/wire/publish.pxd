cimport cython

from linnet.wire.message cimport Message, encode_start, packet_id_bytes

cdef int NEVER
cdef int PUBLISH
cdef int RETAIN
cdef int DUP
cdef int PLAIN
cdef int SUBSCRIPTION_IDENTIFIER
cdef int TOPIC_ALIAS

cdef class Publish(Message):
    cdef public int alias
    cdef public bint dup
    cdef public bytes identifiers
    cdef public int packet_id
    cdef public int user_property_count

cdef begin_publish(Publish publish, int header, bytes topic_name, bytes packet)

@cython.locals(publish=Publish)
cpdef Publish read_publish(bytes data, int header, Py_ssize_t start, Py_ssize_t body, Py_ssize_t stop, bint has_properties, str publisher)

@cython.locals(octets="const unsigned char *", packet=bytes, qos=int, at=Py_ssize_t, topic_end=Py_ssize_t, after=Py_ssize_t)
cpdef read_into(Publish publish, bytes data, int header, Py_ssize_t start, Py_ssize_t body, Py_ssize_t stop, bint has_properties)

@cython.locals(octets="const unsigned char *", end=Py_ssize_t, first=Py_ssize_t, alias=int, identifiers=bytes)
cdef bint read_hop_properties(Publish publish, bytes packet, Py_ssize_t at) except -1

@cython.locals(packet=bytes)
cdef read_properties(Publish publish, Py_ssize_t at)
