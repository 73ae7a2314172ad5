cimport cython

from linnet.core.arrivals cimport Arrival, Arrivals
from linnet.core.connection cimport Connection
from linnet.wire.frames cimport FrameReader
from linnet.wire.publish cimport read_into
from linnet.core.received cimport Received

cdef int PUBREL

cdef class ClientConnection(Connection):
    cdef public object aliases
    cdef public Arrivals arrivals
    cdef public object connect
    cdef public object deadline
    cdef public object deadlines
    cdef public object find
    cdef public object goodbye
    cdef public double keep_alive
    cdef public object kind
    cdef public double last_sent
    cdef public object later
    cdef public object limits
    cdef public object owner
    cdef public double ping_timeout
    cdef public double pinged_at
    cdef public str reason_string
    cdef public dict requests
    cdef public double round_trip
    cdef public dict topics

    @cython.locals(frames=FrameReader, qos=int, message=Received)
    cpdef receive_publish(self, double now)
    cpdef receive_ack(self, int kind, int packet_id, int reason_code, double now)
    @cython.locals(inboxes=tuple)
    cdef hand_over(self, Received message)
    @cython.locals(arrivals=Arrivals, arrival=Arrival, before=Arrival, packet_id=int, qos=int)
    cdef arrive(self, Received message)
