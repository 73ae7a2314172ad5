cimport cython

from linnet.core.statistics cimport Statistics
from linnet.wire.message cimport Message, packet_id_bytes

cdef int BULKY

@cython.final
cdef class Outbox:
    cdef public Py_ssize_t alarm
    cdef public object aliases
    cdef public Py_ssize_t hard_limit
    cdef public bint has_properties
    cdef public bint is_excessive
    cdef public Py_ssize_t limit
    cdef public list marked
    cdef public Py_ssize_t maximum_packet
    cdef public list pieces
    cdef public Py_ssize_t size
    cdef public Statistics statistics
    cdef public object stream

    cpdef obey(self, Py_ssize_t limit, Py_ssize_t hard_limit)
    cpdef put(self, bytes piece)
    cdef pile_up(self)
    @cython.locals(pieces=list)
    cpdef bytes take(self)
    @cython.locals(pieces=list)
    cpdef list take_pieces(self)
    cpdef bint is_bulky(self) except -1
    @cython.locals(packet=bytes, head=bytes, tail=bytes)
    cpdef bint publish(self, Message message, int qos, bint retain, bint dup, int packet_id, bytes extra, double now) except -1
    @cython.locals(topic_name=bytes, head=bytes)
    cpdef bint publish_own(self, Message message, int qos, bint retain, bint dup, int packet_id, bytes extra, double now) except -1
    cpdef bint too_large(self) except -1
    cpdef bint make_room(self) except -1
