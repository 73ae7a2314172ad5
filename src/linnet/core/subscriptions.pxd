cimport cython

cdef class Subscription:
    cdef public bytes extra
    cdef public object group
    cdef public int identifier
    cdef public bytes name
    cdef public bint no_local
    cdef public Subscription own
    cdef public str policy
    cdef public int qos
    cdef public bint retain_as_published
    cdef public int retain_handling
    cdef public object session
    cdef public bytes share
    cdef public bytes topics

@cython.final
@cython.trashcan(True)
cdef class Node:
    cdef public Node child
    cdef public dict children
    cdef public dict groups
    cdef public bytes level
    cdef public Subscription single
    cdef public dict subscriptions

    cpdef bint is_empty(self) except -1
    @cython.locals(child=Node)
    cpdef Node below(self, bytes level)
    @cython.locals(node=Node)
    cpdef Node grow(self, bytes level)

@cython.final
cdef class SubscriptionTree:
    cdef public Node root

    @cython.locals(node=Node, level=bytes)
    cpdef Node node(self, bytes topics)
    @cython.locals(found=list, front=list, ahead=list, node=Node, wild=Node, exact=Node, level=bytes, plain=bint)
    cpdef list match(self, bytes topic_name)
