cimport cython

from linnet.core.outbox cimport Outbox
from linnet.core.receiver cimport Receiver
from linnet.core.sender cimport Sender
from linnet.core.statistics cimport Statistics
from linnet.core.subscriptions cimport Subscription
from linnet.wire.message cimport Message

cdef class Session:
    cdef public str client_id
    cdef public object connection
    cdef public object deadline
    cdef public long long expiry_interval
    cdef public bint online
    cdef public Outbox outbox
    cdef public Statistics past
    cdef public bint queue_qos0
    cdef public Receiver receiver
    cdef public object replays
    cdef public Sender sender
    cdef public dict subscriptions
    cdef public object user_name
    cdef public Message will
    cdef public object will_deadline
    cdef public long long will_delay

    @cython.locals(qos=int, retain=bint, outbox=Outbox)
    cpdef bint deliver(self, Message message, Subscription subscription, bint is_retained, double now) except -1
    @cython.locals(outbox=Outbox)
    cpdef bint has_room(self) except -1
