cimport cython

from linnet.client.publication cimport Publication
from linnet.core.sender cimport Delivery, SenderObserver

cdef int FIRST_ERROR

cdef class Outcomes(SenderObserver):
    cdef public object drop
    cdef public object idle
    cdef public bint is_committing
    cdef public object room
    cdef public object said
    cdef public object store
    cdef public list unwritten

    @cython.locals(unwritten=list, publication=Publication)
    cpdef written(self)
    @cython.locals(publication=Publication)
    cpdef launched(self, Delivery delivery)
    @cython.locals(publication=Publication)
    cpdef released(self, Delivery delivery, int reason_code)
    @cython.locals(publication=Publication)
    cpdef settled(self, Delivery delivery, int reason_code)
    cpdef dropped(self, Delivery delivery, str why)
