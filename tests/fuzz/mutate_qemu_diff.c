/* mutate_qemu_diff.c: the inputs of fuzz_qemu_diff are images, as those of fuzz_image. */
#include "tests/fuzz/mutate_image.c"
