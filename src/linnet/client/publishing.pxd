cimport cython

from linnet.client.outcomes cimport Outcomes
from linnet.client.publication cimport Publication
from linnet.core.outbox cimport Outbox
from linnet.core.queue cimport Queue
from linnet.core.sender cimport Sender
from linnet.wire.message cimport Message

cdef Py_ssize_t CHUNK

@cython.final
cdef class Publisher:
    cdef public object clock
    cdef public object fault
    cdef public long long last_key
    cdef public object limits
    cdef public object line
    cdef public dict names
    cdef public object offline
    cdef public Outcomes outcomes
    cdef public Sender sender
    cdef public object store

    @cython.locals(publication=Publication, now=double, qos=int)
    cpdef Publication send(self, Message message)
    @cython.locals(message=Message, outbox=Outbox)
    cpdef write(self, Publication publication, object line, double now)
    @cython.locals(waiting=Queue)
    cpdef bint is_full(self, Message message) except -1
