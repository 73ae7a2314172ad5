cimport cython

from linnet.core.outbox cimport Outbox
from linnet.core.receiver cimport Receiver
from linnet.core.statistics cimport Statistics
from linnet.wire.message cimport packet_id_bytes

cdef bytes PUBACK_START
cdef bytes PUBACK_REASON_START
cdef bytes PUBREC_START
cdef bytes PUBREC_REASON_START
cdef int FIRST_ERROR

@cython.final
cdef class Arrival:
    cdef public Arrivals arrivals
    cdef public int holders
    cdef public bint is_given_up
    cdef public int packet_id
    cdef public int qos
    cdef public int reason_code

    cpdef hold(self)
    cpdef done(self)

@cython.final
cdef class Arrivals:
    cdef public object begin
    cdef public dict given_up
    cdef public bint has_properties
    cdef public bint is_crowded
    cdef public int maximum
    cdef public object on_crowd
    cdef public object on_receive
    cdef public object on_release
    cdef public Outbox outbox
    cdef public int outstanding
    cdef public object pending
    cdef public Receiver receiver
    cdef public dict unacknowledged

    @cython.locals(arrival=Arrival)
    cpdef Arrival add(self, int packet_id, int qos)
    @cython.locals(arrival=Arrival)
    cpdef advance(self)
    @cython.locals(outbox=Outbox, statistics=Statistics, reason_code=int, is_last=bint)
    cpdef acknowledge(self, Arrival arrival)
    cpdef ended(self)
