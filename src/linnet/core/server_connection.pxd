cimport cython

from linnet.core.backlog cimport Backlog
from linnet.core.connection cimport Connection
from linnet.core.outbox cimport Outbox
from linnet.core.router cimport Route, Router
from linnet.core.session cimport Session
from linnet.core.statistics cimport Statistics
from linnet.wire.frames cimport FrameReader
from linnet.wire.message cimport Message, packet_id_bytes
from linnet.wire.publish cimport Publish, read_publish

cdef bytes PUBACK_START
cdef bytes PUBREC_START
cdef int FINE
cdef int NOBODY_ASKS

cdef class ServerConnection(Connection):
    cdef public object aliases
    cdef public Backlog backlog
    cdef public object core
    cdef public object deadline
    cdef public object handshake
    cdef public bint has_guard
    cdef public int keep_alive
    cdef public object limits
    cdef public object owed
    cdef public object peer
    cdef public Router router
    cdef public bint said_goodbye
    cdef public Session session
    cdef public bint tells_no_subscribers

    @cython.locals(frames=FrameReader, publish=Publish, session=Session, route=Route)
    cpdef receive_publish(self, double now)
    @cython.locals(count=int, verdict=int, octets=bytes, backlog=Backlog)
    cpdef accept(self, Publish publish, Message message, Route route, double now)
