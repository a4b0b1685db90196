"""Clopper-Pearson lower bounds and quantiles of the normal distribution: the tables in src/script/api/chance.rs.

    python3 scripts/reference/chance.py

The values there come from SciPy 1.17.1.
"""

from scipy.stats import beta, norm

for k, n, alpha in [(1, 1, 0.5), (1, 10, 0.05), (9, 10, 0.05), (100, 100, 0.001), (99, 100, 0.001), (612, 1000, 0.001),
                    (7, 1000, 0.01), (99950, 100000, 0.001), (50000, 100000, 0.2)]:
    print(f"        ({k}, {n}, {alpha}, {float(beta.ppf(alpha, k, n - k + 1))}),")
print()
for p in [1e-12, 0.001, 0.3, 0.5, 0.75, 0.9331, 0.9990, 0.999999]:
    print(f"        ({p}, {float(norm.ppf(p))}),")
