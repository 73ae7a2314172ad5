cimport cython

from linnet.core.outbox cimport Outbox
from linnet.core.receiver cimport Receiver
from linnet.core.sender cimport Sender
from linnet.wire.frames cimport FrameReader
from linnet.wire.publish cimport packet_id_bytes

cdef bytes SHORT_ACKS

cdef class Connection:
    cdef public long long bytes_received
    cdef public str closed_because
    cdef public FrameReader frames
    cdef public bint has_properties
    cdef public double last_heard
    cdef public Outbox outbox
    cdef public long long packets_received
    cdef public Receiver receiver
    cdef public Sender sender
    cdef public int state
    cdef public object stream
    cdef public object version
    cdef public bint waiting

    cpdef int receive(self, bytes data, double now) except -1
    @cython.locals(frames=FrameReader, header=int)
    cpdef int proceed(self, double now) except -1
    cpdef int receive_publish(self, double now) except -1
    @cython.locals(octets="const unsigned char *", packet_id=int)
    cpdef int receive_short_ack(self, int kind, bytes data, Py_ssize_t at, double now) except -1
    @cython.locals(sender=Sender, receiver=Receiver, known=bint)
    cpdef int receive_ack(self, int kind, int packet_id, int reason_code, double now) except -1
