/*
 * Vector table and reset of a Cortex-M: what stands between power-on and main().
 */
#include <stdint.h>

/* From the linker script. */
extern uint32_t rh_stack_top, rh_data_start, rh_data_end, rh_data_image, rh_bss_start, rh_bss_end;

int main(void);
void rh_exit(int status); /* semihosting.c, or a loop below */
void rh_reset(void);
void rh_fault(void);

__attribute__((weak)) void rh_exit(int status) {
    (void)status;
    for (;;) {
    }
}

void rh_reset(void) {
    const uint32_t *image = &rh_data_image;
    for (uint32_t *word = &rh_data_start; word < &rh_data_end; word++)
        *word = *image++;
    for (uint32_t *word = &rh_bss_start; word < &rh_bss_end; word++)
        *word = 0;
    rh_exit(main());
}

void rh_fault(void) {
    rh_exit(1);
}

union vector {
    void (*handler)(void);
    const void *stack;
};

/* The exceptions of the core; the images enable no interrupt. */
extern const union vector rh_vectors[16];
__attribute__((section(".vectors"), used)) const union vector rh_vectors[16] = {
    {.stack = &rh_stack_top},
    {rh_reset}, /* then NMI, HardFault, MemManage, BusFault, UsageFault */
    {rh_fault},
    {rh_fault},
    {rh_fault},
    {rh_fault},
    {rh_fault},
};
