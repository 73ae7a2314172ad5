cimport cython

from linnet.core.outbox cimport Outbox
from linnet.core.receiver cimport Receiver
from linnet.core.sender cimport Sender
from linnet.core.statistics cimport Statistics
from linnet.wire.frames cimport FrameReader
from linnet.wire.message cimport packet_id_bytes

cdef int OPENING
cdef int OPEN
cdef int CLOSED
cdef int PUBLISH
cdef int PUBREC
cdef int PUBREL
cdef int PUBACK_HEADER
cdef int PUBREC_HEADER
cdef int PUBREL_HEADER
cdef int PUBCOMP_HEADER
cdef bytes PUBCOMP_START

cdef int NO_SUBSCRIBERS

cdef bint is_ack(int header)

@cython.locals(octets="const unsigned char *")
cdef bint is_for_nobody(int header, bytes data, Py_ssize_t stop)

cdef class Connection:
    cdef public str closed_because
    cdef public FrameReader frames
    cdef public bint has_properties
    cdef public bint is_server
    cdef public double last_heard
    cdef public Outbox outbox
    cdef public Receiver receiver
    cdef public Sender sender
    cdef public int state
    cdef public Statistics statistics
    cdef public object pace
    cdef public object stream
    cdef public object version
    cdef public int waiting
    cdef public bint wants_reasons

    cpdef receive(self, bytes data, double now)
    @cython.locals(frames=FrameReader, header=int, size=Py_ssize_t)
    cpdef proceed(self, double now)
    cpdef receive_publish(self, double now)
    @cython.locals(octets="const unsigned char *", packet_id=int)
    cpdef receive_short_ack(self, int kind, bytes data, Py_ssize_t at, int reason_code, double now)
    @cython.locals(sender=Sender, receiver=Receiver, known=bint)
    cpdef receive_ack(self, int kind, int packet_id, int reason_code, double now)
