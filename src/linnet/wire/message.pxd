cimport cython

from linnet.wire.varint cimport encode_varint

cdef list FIRST_BYTES
cdef list PACKET_IDS
cdef int HEADER

@cython.locals(octets=bytes)
cpdef bytes packet_id_bytes(int packet_id)

# Only bytes and text are referred to, so these are no business of the garbage collector
cdef class Message:
    cdef public bytes body
    cdef public long long expiry
    cdef public bytes forwarded
    cdef public bint has_properties
    cdef public bytes head
    cdef public int head_form
    cdef public bint is_plain
    cdef public bytes packet
    cdef public Py_ssize_t payload_at
    cdef public str publisher
    cdef public int qos
    cdef public double received_at
    cdef public bint retain
    cdef public bytes tail5
    cdef public bytes topic_name

    cpdef Py_ssize_t size(self)
    cpdef Py_ssize_t weight(self)
    @cython.locals(waited="long long")
    cpdef long long seconds_left(self, double now)
    @cython.locals(octets="const unsigned char *", stop=Py_ssize_t)
    cpdef bytes tail(self, bint has_properties)
    @cython.locals(octets="const unsigned char *", form=int, header=int, remaining=Py_ssize_t)
    cpdef bytes encode_start(self, int qos, bint retain, bint has_properties)
    cpdef Py_ssize_t tail_at(self)
    @cython.locals(middle=bytes, remaining=Py_ssize_t)
    cpdef bytes encode_head(self, int qos, bint retain, bint has_properties, int packet_id, bytes topic_name, bytes extra)

@cython.locals(remaining=Py_ssize_t)
cpdef bytes encode_start(int header, Py_ssize_t remaining, bytes topic_name)
