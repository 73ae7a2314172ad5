cimport cython

cdef int PUBACK
cdef int PUBREC
cdef int PUBREL

@cython.final
cdef class Statistics:
    cdef public double ack_longest
    cdef public double ack_seconds
    cdef public long long acks
    cdef public long long auth_received
    cdef public long long auth_sent
    cdef public long long bytes_received
    cdef public long long bytes_sent
    cdef public str client_id
    cdef public long long connack
    cdef public long long connect
    cdef public long long disconnect_received
    cdef public long long disconnect_sent
    cdef public long long dropped_ended
    cdef public long long dropped_expired
    cdef public long long dropped_offline
    cdef public long long dropped_output_full
    cdef public long long dropped_queue_full
    cdef public long long dropped_too_large
    cdef public long long dropped_unsent
    cdef public list losers
    cdef public long long pingreq
    cdef public long long pingresp
    cdef public long long puback_received
    cdef public long long puback_sent
    cdef public long long pubcomp_received
    cdef public long long pubcomp_sent
    cdef public long long publish0_received
    cdef public long long publish0_sent
    cdef public long long publish1_received
    cdef public long long publish1_sent
    cdef public long long publish2_received
    cdef public long long publish2_sent
    cdef public long long pubrec_received
    cdef public long long pubrec_sent
    cdef public long long pubrel_received
    cdef public long long pubrel_sent
    cdef public long long refused
    cdef public tuple reported
    cdef public long long suback
    cdef public long long subscribe
    cdef public long long unsuback
    cdef public long long unsubscribe
    cdef public Statistics whole

    cpdef tuple drops(self)
    cpdef lose(self)
    cpdef publish_received(self, int qos)
    cpdef publish_sent(self, int qos)
    cpdef acknowledged(self, double seconds)
    cpdef ack_received(self, int kind)
    cpdef add(self, Statistics other)
    cpdef add_messages(self, Statistics other)
    cpdef add_packets(self, Statistics other)
    cpdef add_drops(self, Statistics other)
