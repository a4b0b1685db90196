// Elementwise and pooling kernels with one thread per element, compiled by NVRTC on first use.

typedef unsigned int uint;

__device__ __forceinline__ uint first() { return blockIdx.x * blockDim.x + threadIdx.x; }
#define EACH(i, n) for (uint i = first(); i < (n); i += gridDim.x * blockDim.x)

extern "C" __global__ void relu(const float* x, float* y, uint n) {
    EACH(i, n) { float v = x[i]; y[i] = v < 0.0f ? 0.0f : v; }
}

extern "C" __global__ void relu_vjp(const float* dy, const float* x, float* dx, uint n) {
    EACH(i, n) dx[i] = x[i] > 0.0f ? dy[i] : 0.0f;
}

extern "C" __global__ void add_bias(float* y, const float* b, uint size, uint channels, uint n) {
    EACH(i, n) y[i] += b[i / size % channels];
}

extern "C" __global__ void affine(const float* x, const float* a, const float* b, float* y, uint size, uint channels, uint n) {
    EACH(i, n) { uint c = i / size % channels; y[i] = a[c] * x[i] + b[c]; }
}

// `move` is nonzero if the mean and the shift are given; the VJP does not use them.
extern "C" __global__ void batch_norm(const float* x, const float* gamma, const float* variance, const float* beta, const float* mean,
                                      uint move, float epsilon, float* y, uint size, uint channels, uint n) {
    EACH(i, n) {
        uint c = i / size % channels;
        float scale = gamma[c] * rsqrtf(variance[c] + epsilon);
        y[i] = move ? scale * (x[i] - mean[c]) + beta[c] : scale * x[i];
    }
}

// The maximum of an empty window, −∞.
#define NOTHING (-__int_as_float(0x7f800000))

struct Axis { uint size, windows, kernel, stride, padding, dilation; };

// The maximum of a window and its tap (the first in a tie). NaN counts as the maximum.
__device__ __forceinline__ uint greatest(const float* x, uint i, Axis h, Axis w, float* best) {
    uint row = i / w.windows % h.windows, column = i % w.windows, tap = 0;
    bool any = false;
    const float* map = x + (size_t)(i / (h.windows * w.windows)) * h.size * w.size;
    for (uint a = 0; a < h.kernel; a++) {
        uint y = row * h.stride + a * h.dilation - h.padding;
        if (y >= h.size) continue;
        for (uint b = 0; b < w.kernel; b++) {
            uint z = column * w.stride + b * w.dilation - w.padding;
            if (z >= w.size) continue;
            float v = map[y * w.size + z];
            if (!any || (*best == *best && !(v <= *best))) { *best = v; tap = a * w.kernel + b; any = true; }
        }
    }
    return tap;
}

extern "C" __global__ void max_pool(const float* x, float* y, Axis h, Axis w, uint n) {
    EACH(i, n) { float best = NOTHING; greatest(x, i, h, w, &best); y[i] = best; }
}

extern "C" __global__ void max_pool_taps(const float* x, uint* taps, Axis h, Axis w, uint n) {
    EACH(i, n) { float best = NOTHING; taps[i] = greatest(x, i, h, w, &best); }
}

// Each position sums the gradients of the windows whose maximum it holds.
extern "C" __global__ void max_pool_vjp(const float* dy, const uint* taps, float* dx, Axis h, Axis w, uint n) {
    EACH(i, n) {
        uint y = i / w.size % h.size + h.padding, x = i % w.size + w.padding;
        size_t map = (size_t)(i / (h.size * w.size)) * h.windows * w.windows;
        float sum = 0.0f;
        for (uint a = 0; a < h.kernel && a * h.dilation <= y; a++) {
            uint row = y - a * h.dilation;
            if (row % h.stride || row / h.stride >= h.windows) continue;
            for (uint b = 0; b < w.kernel && b * w.dilation <= x; b++) {
                uint column = x - b * w.dilation;
                if (column % w.stride || column / w.stride >= w.windows) continue;
                size_t at = map + row / h.stride * w.windows + column / w.stride;
                if (taps[at] == a * w.kernel + b) sum += dy[at];
            }
        }
        dx[i] = sum;
    }
}
