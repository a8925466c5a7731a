// A libcuda.so that computes nothing, for scripts/check-cuda.sh: it says that it is a GPU of compute capability HOLLOW_ARCH,
// gives host memory, writes every kernel's PTX to HOLLOW_PTX, and refuses launches that no GPU takes.
// What Burn 0.22.1 calls is here, and no more.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef unsigned long long Pointer;
typedef void *Handle;
enum { SUCCESS, INVALID_VALUE, OUT_OF_MEMORY };
enum { MAX_SHARED = 232448, MAX_THREADS = 1024, MAX_GRID_YZ = 65535 };
#define MEMORY ((size_t)139 << 30)

static Handle fresh(void) {
    static size_t next;
    return (Handle)(__atomic_add_fetch(&next, 16, __ATOMIC_RELAXED));
}
static int arch(void) {
    const char *said = getenv("HOLLOW_ARCH");
    return said ? atoi(said) : 90;
}

// Kernels take 2 µs of a clock that events read. Those with which Burn measures a device before it tunes take 25 ms, really:
// Burn repeats them until they take 20 ms, and overflows if they never do.
static double clock_ms;
static int measures;
static void run_kernel(Handle function) {
    int slow = (size_t)function % 2;
    if (slow) __atomic_store_n(&measures, 1, __ATOMIC_RELAXED);
    clock_ms += slow ? 25 : 0.002;
}
static int catch_up(void) {
    if (__atomic_exchange_n(&measures, 0, __ATOMIC_RELAXED)) usleep(25000);
    return SUCCESS;
}

int cuInit(unsigned flags) { return SUCCESS; }
int cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
int cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { return *device = 0, SUCCESS; }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, "hollow"), SUCCESS; }
int cuDeviceGetPCIBusId(char *id, int size, int device) { return snprintf(id, size, "0000:00:00.0"), SUCCESS; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = MEMORY, SUCCESS; }
int cuMemGetInfo_v2(size_t *unused, size_t *all) { return *unused = *all = MEMORY, SUCCESS; }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
    case 1: case 2: case 3: *value = MAX_THREADS; break; // threads per block; x, y of a block
    case 4: *value = 64; break;                          // z of a block
    case 5: *value = 2147483647; break;                  // x of a grid
    case 6: case 7: *value = MAX_GRID_YZ; break;
    case 8: *value = 49152; break;                       // shared memory of a block without asking for more
    case 10: *value = 32; break;                         // threads of a warp
    case 16: *value = 132; break;                        // multiprocessors
    case 75: *value = arch() / 10; break;
    case 76: *value = arch() % 10; break;
    case 97: *value = MAX_SHARED; break;
    default: *value = 1;
    }
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(Handle *context, int device) { return *context = fresh(), SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }
int cuCtxSetCurrent(Handle context) { return SUCCESS; }
int cuCtxSynchronize(void) { return catch_up(); }
int cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, SUCCESS; }

int cuStreamCreate(Handle *stream, unsigned flags) { return *stream = fresh(), SUCCESS; }
int cuStreamCreateWithPriority(Handle *stream, unsigned flags, int priority) { return *stream = fresh(), SUCCESS; }
int cuStreamDestroy_v2(Handle stream) { return SUCCESS; }
int cuStreamSynchronize(Handle stream) { return catch_up(); }
int cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) { return SUCCESS; }
int cuEventCreate(Handle *event, unsigned flags) { return *event = calloc(1, sizeof(double)), SUCCESS; }
int cuEventDestroy_v2(Handle event) { return free(event), SUCCESS; }
int cuEventRecord(Handle event, Handle stream) { return *(double *)event = clock_ms, SUCCESS; }
int cuEventSynchronize(Handle event) { return catch_up(); }
int cuEventElapsedTime_v2(float *ms, Handle start, Handle end) { return *ms = *(double *)end - *(double *)start, SUCCESS; }
int cuEventElapsedTime(float *ms, Handle start, Handle end) { return cuEventElapsedTime_v2(ms, start, end); }

// Never given back, and taken from the machine only where something is written.
int cuMemAllocAsync(Pointer *memory, size_t bytes, Handle stream) {
    void *got = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return *memory = (Pointer)got, got == MAP_FAILED ? OUT_OF_MEMORY : SUCCESS;
}
int cuMemAlloc_v2(Pointer *memory, size_t bytes) { return cuMemAllocAsync(memory, bytes, NULL); }
int cuMemFree_v2(Pointer memory) { return SUCCESS; }
int cuMemFreeAsync(Pointer memory, Handle stream) { return SUCCESS; }
int cuMemAllocHost_v2(void **memory, size_t bytes) { return *memory = calloc(1, bytes + 1), SUCCESS; }
int cuMemFreeHost(void *memory) { return free(memory), SUCCESS; }

int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, Handle stream) {
    return memcpy((void *)to, from, bytes), SUCCESS;
}
int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, Handle stream) {
    return memcpy((void *)to, (void *)from, bytes), SUCCESS;
}
// A device is asked for 1 + 2 when it is chosen, and a single number is always 3 here.
static void read_back(void *to, size_t bytes) {
    if (bytes == sizeof(float)) memcpy(to, &(float){3}, bytes);
}
int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, Handle stream) {
    return memcpy(to, (void *)from, bytes), read_back(to, bytes), SUCCESS;
}
struct Copy2D {
    size_t from_x, from_y; int from_type; const void *from_host; Pointer from_device; Handle from_array; size_t from_pitch;
    size_t to_x, to_y; int to_type; void *to_host; Pointer to_device; Handle to_array; size_t to_pitch;
    size_t width, height;
};
int cuMemcpy2DAsync_v2(const struct Copy2D *copy, Handle stream) {
    enum { HOST = 1 };
    const char *from = copy->from_type == HOST ? copy->from_host : (void *)copy->from_device;
    char *to = copy->to_type == HOST ? copy->to_host : (void *)copy->to_device;
    for (size_t row = 0; row < copy->height; row++)
        memcpy(to + row * copy->to_pitch, from + row * copy->from_pitch, copy->width);
    if (copy->to_type == HOST) read_back(to, copy->width * copy->height);
    return SUCCESS;
}

int cuModuleLoadData(Handle *module, const void *ptx) {
    static int kernels;
    char path[4096];
    snprintf(path, sizeof path, "%s/%d-%d-%d.ptx", getenv("HOLLOW_PTX"), arch(), getpid(),
             __atomic_add_fetch(&kernels, 1, __ATOMIC_RELAXED));
    FILE *file = fopen(path, "wx");
    if (!file) return perror(path), INVALID_VALUE;
    fputs(ptx, file);
    return *module = fresh(), fclose(file) ? INVALID_VALUE : SUCCESS;
}
int cuModuleGetFunction(Handle *function, Handle module, const char *name) {
    return *function = (char *)fresh() + (strstr(name, "throughput") != NULL), SUCCESS;
}
int cuModuleUnload(Handle module) { return SUCCESS; }
int cuFuncSetAttribute(Handle function, int attribute, int value) { return value > MAX_SHARED ? INVALID_VALUE : SUCCESS; }
int cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x, unsigned y, unsigned z,
                   unsigned shared, Handle stream, void **parameters, void **extra) {
    unsigned long long threads = 1ull * x * y * z, blocks = 1ull * grid_x * grid_y * grid_z;
    int fits = threads <= MAX_THREADS && z <= 64 && grid_y <= MAX_GRID_YZ && grid_z <= MAX_GRID_YZ && shared <= MAX_SHARED;
    run_kernel(function);
    return fits && threads && blocks ? SUCCESS : INVALID_VALUE;
}
int cuTensorMapEncodeTiled() { return SUCCESS; }

int cuGetErrorName(int error, const char **name) { return *name = "HOLLOW_ERROR", SUCCESS; }
int cuGetErrorString(int error, const char **text) { return *text = "refused by tests/cuda/driver.c", SUCCESS; }
