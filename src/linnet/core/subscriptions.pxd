cimport cython

cdef class Subscription:
    cdef public bytes extra
    cdef public object filter
    cdef public object group
    cdef public int identifier
    cdef public bint no_local
    cdef public Subscription own
    cdef public str policy
    cdef public int qos
    cdef public bint retain_as_published
    cdef public int retain_handling
    cdef public object session

cdef class Node:
    cdef public dict children
    cdef public dict groups
    cdef public dict subscriptions

cdef class SubscriptionTree:
    cdef public Node root

    @cython.locals(node=Node, below=Node, children=dict)
    cpdef Node node(self, bytes topics)
    @cython.locals(found=list, front=list, below=list, node=Node, children=dict, level=bytes, plain=bint)
    cpdef list match(self, bytes topic_name)
