//! What a pull may cost. Spin bounds nothing (`docs/contract/oci.md` §5); a daemon that follows moving tags must.

/// Bytes in a mebibyte.
const MIB: u64 = 1024 * 1024;
/// Bytes in a gibibyte.
const GIB: u64 = 1024 * MIB;

/// Bounds on one pull. The defaults admit every artifact that Spin's own tools can make and that a host could
/// sensibly run, and stop what would fill a disk or the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest or index. Registries themselves refuse more than 4 MiB.
    pub manifest: u64,
    /// Bytes of a locked app or a config blob, which are read into memory. 64 MiB lists some 400,000 files.
    pub config: u64,
    /// Bytes of one blob, and of one file in an archive layer: 2 GiB, since a component that is compiled is held in
    /// memory and the largest seen (bundled interpreters, models) are a few hundred MiB.
    pub blob: u64,
    /// Bytes of all blobs of one artifact together, as transferred: 8 GiB.
    pub total: u64,
    /// Layers of one artifact. Spin 1.x pushes one for every file of a site; later versions stop at 500.
    pub layers: usize,
    /// Entries of one archive layer, directories included.
    pub archive_entries: usize,
    /// Bytes of one archive layer when unpacked: 8 GiB.
    pub archive_expansion: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            manifest: 4 * MIB,
            config: 64 * MIB,
            blob: 2 * GIB,
            total: 8 * GIB,
            layers: 20_000,
            archive_entries: 200_000,
            archive_expansion: 8 * GIB,
        }
    }
}
