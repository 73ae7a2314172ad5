cimport cython

cdef list PACKET_IDS

@cython.locals(octets=bytes)
cpdef bytes packet_id_bytes(int packet_id)

cdef class Message:
    cdef public bytes body
    cdef public long long expiry
    cdef public list forms
    cdef public bytes forwarded
    cdef public bint has_properties
    cdef public bytes packet
    cdef public Py_ssize_t payload_at
    cdef public bytes plain3
    cdef public bytes plain5
    cdef public object publisher
    cdef public int qos
    cdef public double received_at
    cdef public bint retain
    cdef public bytes topic_name

    cpdef Py_ssize_t size(self)
    cpdef Py_ssize_t weight(self)
    @cython.locals(waited="long long")
    cpdef long long seconds_left(self, double now)
    @cython.locals(packet=bytes)
    cpdef bytes plain(self, bint has_properties)
    @cython.locals(index=int)
    cpdef tuple form(self, int qos, bint retain, bint has_properties)
    @cython.locals(packet=bytes, tail=bytes, header=int, at=Py_ssize_t, remaining=Py_ssize_t)
    cpdef tuple encode_form(self, int qos, bint retain, bint has_properties)
    cpdef Py_ssize_t tail_at(self)
    @cython.locals(middle=bytes, remaining=Py_ssize_t)
    cpdef bytes encode_head(self, int qos, bint retain, bint has_properties, int packet_id, bytes topic_name, bytes extra)

cdef class Publish(Message):
    cdef public int alias
    cdef public bint dup
    cdef public list identifiers
    cdef public int packet_id
    cdef public int user_properties

@cython.locals(remaining=Py_ssize_t)
cpdef bytes encode_start(int header, Py_ssize_t remaining, bytes topic_name)

cdef Publish blank_publish(int header, bytes topic_name, bytes packet)

@cython.locals(octets="const unsigned char *", publish=Publish, packet=bytes, qos=int, at=Py_ssize_t, topic_end=Py_ssize_t, after=Py_ssize_t)
cpdef Publish read_publish(bytes data, int header, Py_ssize_t start, Py_ssize_t body, Py_ssize_t stop, bint has_properties)

cdef int read_properties(Publish publish, Py_ssize_t at) except -1
