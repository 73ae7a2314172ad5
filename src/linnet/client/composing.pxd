cimport cython

from linnet.client.publishing cimport Publisher
from linnet.wire.message cimport Message

@cython.locals(name=bytes)
cpdef Message composed(Publisher publisher, str topic, object payload, dict options)
