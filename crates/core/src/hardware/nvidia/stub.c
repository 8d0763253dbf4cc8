/* Stands for libnvidia-ml.so.1 in tests: two devices, the second cut up into two instances. */
#include <string.h>

#ifdef HANG
#include <poll.h>
#include <unistd.h>
#endif

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef const char *Device;

static const char *devices[] = {"0", "1"}, *instances[] = {"a", "b"};

int nvmlInit_v2(void) {
#ifdef HANG
    while (access(HANG, F_OK) != 0) /* until the test lets it go */
        poll(0, 0, 10);
#endif
#ifdef FAIL
    return 9; /* the driver is not loaded */
#endif
    return 0;
}
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned length) { strncpy(to, "550.54.15", length); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 12040; return 0; }
#ifdef MANY
int nvmlDeviceGetCount_v2(unsigned *to) { *to = 4000000000u; return 0; }
#else
int nvmlDeviceGetCount_v2(unsigned *to) { *to = 3; return 0; }
#endif
/* The third has fallen off its bus. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *to) {
    if (index > 1) return 15;
    *to = devices[index];
    return 0;
}
int nvmlDeviceGetUUID(Device device, char *to, unsigned length) {
    const char *uuid = *device == '0' ? "GPU-00000000-0000-0000-0000-000000000001"
                     : *device == '1' ? "GPU-00000000-0000-0000-0000-000000000002"
                     : *device == 'a' ? "MIG-00000000-0000-0000-0000-00000000000a"
                                      : "MIG-00000000-0000-0000-0000-00000000000b";
    strncpy(to, uuid, length);
    return 0;
}
int nvmlDeviceGetName(Device device, char *to, unsigned length) {
    const char *name = *device == '0' ? "NVIDIA A40"
                     : *device == '1' ? "NVIDIA A100-SXM4-80GB"
                     : "NVIDIA A100-SXM4-80GB MIG 1g.10gb";
    strncpy(to, name, length);
    return 0;
}
int nvmlDeviceGetMemoryInfo_v2(Device device, Memory *to) {
    if (*device == '0') return 3; /* not supported */
    to->total = *device == '1' ? 81920ull << 20 : 9728ull << 20;
    to->free = to->total - (512ull << 20);
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) {
    *major = 8;
    *minor = *device == '0' ? 6 : 0;
    return 0;
}
int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    if (*device == '0') return 3;
    *current = *pending = 1;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *to) { *to = 7; return 0; }
/* Places 1 and 3 to 6 are empty. */
int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *to) {
    if (index != 0 && index != 2) return 6;
    *to = instances[index / 2];
    return 0;
}
