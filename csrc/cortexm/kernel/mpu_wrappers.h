/*
 * A stand-in for a kernel's mpu_wrappers.h.
 */
#ifndef MPU_WRAPPERS_H
#define MPU_WRAPPERS_H

#ifndef PRIVILEGED_DATA
#define PRIVILEGED_DATA
#endif

#endif
