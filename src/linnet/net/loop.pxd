cimport cython

from linnet.net.transport cimport SocketTransport

cdef int IN
cdef int OUT
cdef int FEW_EVENTS

@cython.final
cdef class TurnSelector:
    cdef public list ends
    cdef public object epoll
    cdef public bint has_more
    cdef public object keys
    cdef public object report
    cdef public dict transports

    @cython.locals(events=list, ready=list, wait=double, until=double)
    cpdef list select(self, timeout=*)
    cdef end_turn(self)
    cpdef list poll(self, double wait)
    @cython.locals(transports=dict, transport=SocketTransport, fd=object, bits=int, is_quiet=bint)
    cpdef dispatch(self, list events, list ready)
    cpdef watch(self, SocketTransport transport, bint reads, bint writes)
