cimport cython

cdef list PACKET_IDS
cdef int PUBLISH
cdef int NEVER
cdef int RETAIN
cdef int DUP
cdef int PLAIN
cdef int SUBSCRIPTION_IDENTIFIER
cdef int TOPIC_ALIAS

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

cdef class Publish(Message):
    cdef public int alias
    cdef public bint dup
    cdef public bytes identifiers
    cdef public int packet_id
    cdef public int user_properties

@cython.locals(remaining=Py_ssize_t)
cpdef bytes encode_start(int header, Py_ssize_t remaining, bytes topic_name)

cdef begin_publish(Publish publish, int header, bytes topic_name, bytes packet)

@cython.locals(publish=Publish)
cpdef Publish read_publish(bytes data, int header, Py_ssize_t start, Py_ssize_t body, Py_ssize_t stop, bint has_properties, str publisher)

@cython.locals(octets="const unsigned char *", packet=bytes, qos=int, at=Py_ssize_t, topic_end=Py_ssize_t, after=Py_ssize_t)
cpdef read_into(Publish publish, bytes data, int header, Py_ssize_t start, Py_ssize_t body, Py_ssize_t stop, bint has_properties)

@cython.locals(octets="const unsigned char *", end=Py_ssize_t, alias=int, identifiers=bytes)
cdef bint read_hop_properties(Publish publish, bytes packet, Py_ssize_t at) except -1

@cython.locals(packet=bytes)
cdef read_properties(Publish publish, Py_ssize_t at)
