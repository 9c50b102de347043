//! allotment: the OpenStack Placement API on generations.
