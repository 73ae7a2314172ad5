cimport cython

from linnet.core.session cimport Session
from linnet.core.subscriptions cimport Subscription, SubscriptionTree
from linnet.wire.message cimport Message

cdef int COSTLY
cdef int SLICES

@cython.final
cdef class Route:
    cdef public bint can_refuse
    cdef public list groups
    cdef public bint is_reserved
    cdef public bint is_special
    cdef public bint is_wide
    cdef public list targets

@cython.final
cdef class Router:
    cdef public long long budget
    cdef public object count
    cdef public long long delivered
    cdef public bint is_merging
    cdef public Py_ssize_t max_routes
    cdef public long long misses
    cdef public object retained
    cdef public dict routes
    cdef public object rules
    cdef public Py_ssize_t subscription_count
    cdef public SubscriptionTree tree

    @cython.locals(subscription=Subscription, session=Session, count=int)
    cpdef int publish(self, Message message, Route route, double now) except -1
