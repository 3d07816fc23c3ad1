# Cross-compiling for a Cortex-M with arm-none-eabi-gcc:
#
#   cmake -B build -DCMAKE_TOOLCHAIN_FILE=csrc/cmake/arm-none-eabi.cmake -DRTOSHEAP_CPU=cortex-m4
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)

set(RTOSHEAP_CPU cortex-m0 CACHE STRING "the processor, as -mcpu= has it")
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
add_compile_options(-mcpu=${RTOSHEAP_CPU} -mthumb) # these stay when CMAKE_C_FLAGS is given
add_link_options(-mcpu=${RTOSHEAP_CPU} -mthumb)

# Nothing links without a linker script, so a library tells whether the compiler works.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RTOSHEAP_CPU)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
