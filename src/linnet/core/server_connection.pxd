cimport cython

from linnet.core.connection cimport Connection
from linnet.core.outbox cimport Outbox
from linnet.core.router cimport Route, Router
from linnet.core.session cimport Session
from linnet.wire.frames cimport FrameReader
from linnet.wire.publish cimport Message, Publish, packet_id_bytes, read_publish

cdef class ServerConnection(Connection):
    cdef public object aliases
    cdef public object core
    cdef public object deadline
    cdef public object handshake
    cdef public bint has_guard
    cdef public int keep_alive
    cdef public object peer
    cdef public Router router
    cdef public bint said_goodbye
    cdef public Session session
    cdef public bint tells_no_subscribers
    cdef public bint wants_reasons

    @cython.locals(frames=FrameReader, publish=Publish, session=Session, route=Route)
    cpdef int receive_publish(self, double now) except -1
    @cython.locals(count=int, octets=bytes, start=bytes)
    cpdef int accept(self, Publish publish, Message message, Route route, double now) except -1
