cimport cython

from linnet.core.backlog cimport Backlog
from linnet.core.outbox cimport Outbox
from linnet.core.queue cimport Queue
from linnet.core.statistics cimport Statistics
from linnet.wire.message cimport Message, packet_id_bytes

cdef int PUBACK
cdef int PUBREC
cdef int PUBCOMP
cdef int LAST_PACKET_ID
cdef int FIRST_ERROR
cdef bytes PUBREL_START

@cython.final
@cython.freelist(256)
cdef class Delivery:
    cdef public int awaits
    cdef public bint counts
    cdef public bytes extra
    cdef public Message message
    cdef public object origin
    cdef public int packet_id
    cdef public int qos
    cdef public bint retain
    cdef public double sent_at

@cython.locals(delivery=Delivery)
cpdef Delivery new_delivery(Message message, int qos, bint retain, bytes extra, object origin)

cdef class SenderObserver:
    cpdef launched(self, Delivery delivery)
    cpdef released(self, Delivery delivery, int reason_code)
    cpdef settled(self, Delivery delivery, int reason_code)
    cpdef dropped(self, Delivery delivery, str why)

@cython.final
cdef class Sender:
    cdef public Backlog backlog
    cdef public dict in_flight
    cdef public int last_id
    cdef public Outbox outbox
    cdef public SenderObserver observer
    cdef public int quota
    cdef public dict released
    cdef public object resending
    cdef public dict reserved
    cdef public Statistics statistics
    cdef public Queue waiting
    cdef public int window

    @cython.locals(delivery=Delivery)
    cpdef bint deliver(self, Message message, int qos, bint retain, bytes extra, object origin, double now) except -1
    cpdef bint enqueue(self, Delivery delivery) except -1
    @cython.locals(packet_id=int, outbox=Outbox, message=Message)
    cpdef bint launch(self, Delivery delivery, double now) except -1
    cpdef bint has_room(self) except -1
    cdef take_quota(self, Delivery delivery, double now)
    cdef forget(self, Delivery delivery)
    cpdef pump(self, double now)
    @cython.locals(delivery=Delivery, message=Message)
    cpdef launch_next(self, double now)
    @cython.locals(outbox=Outbox, message=Message)
    cpdef bint resend(self, Delivery delivery, double now) except -1
    @cython.locals(delivery=Delivery)
    cpdef bint acknowledge(self, int kind, int packet_id, int reason_code, double now) except -1
    @cython.locals(outbox=Outbox)
    cpdef release(self, Delivery delivery, int reason_code)
