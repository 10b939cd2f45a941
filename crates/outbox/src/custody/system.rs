//! Which file systems a store may be on.

use std::path::Path;

use rustix::fs::statfs;

/// What is known of a file system by its magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// Nothing speaks against it.
    Local,
    /// Several machines can have it: a lock here is not one there.
    Network(&'static str),
    /// It may be one or the other: the kernel does not tell.
    Unknown(&'static str),
}

/// Source: linux/magic.h, statfs(2), and the file systems' own headers for those outside the kernel.
const KNOWN: [(u64, FileSystem); 18] = [
    (0x6969, FileSystem::Network("NFS")),
    (0x517b, FileSystem::Network("SMB")),
    (0xff53_4d42, FileSystem::Network("CIFS")),
    (0xfe53_4d42, FileSystem::Network("SMB")),
    (0x5346_414f, FileSystem::Network("AFS")),
    (0x6b41_4653, FileSystem::Network("AFS")),
    (0x7375_7245, FileSystem::Network("Coda")),
    (0x564c, FileSystem::Network("NCP")),
    (0x00c3_6400, FileSystem::Network("Ceph")),
    (0x0bd0_0bd0, FileSystem::Network("Lustre")),
    (0x4750_4653, FileSystem::Network("GPFS")),
    (0x1983_0326, FileSystem::Network("BeeGFS")),
    (0x7461_636f, FileSystem::Network("OCFS2")),
    (0x0116_1970, FileSystem::Network("GFS2")),
    (0x2003_0528, FileSystem::Network("OrangeFS")),
    // A virtual machine's share, sometimes of one host and one guest alone, sometimes the root of a sandbox.
    (0x0102_1997, FileSystem::Unknown("9p")),
    (0x786f_4256, FileSystem::Unknown("vboxsf")),
    // sshfs and s3fs are, ntfs-3g is not, virtiofs says the same number.
    (0x6573_5546, FileSystem::Unknown("FUSE")),
];

impl FileSystem {
    /// By the number that `statfs` answers.
    #[must_use]
    pub fn of_magic(magic: u64) -> Self {
        KNOWN.iter().find(|(known, _)| *known == magic).map_or(Self::Local, |(_, system)| *system)
    }

    /// Of what is at `path`, a file or a folder; `None` where it cannot be asked.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        // Numbers above 2^31 come negative on some machines.
        statfs(path).ok().map(|system| Self::of_magic(u64::from(low_half(i128::from(system.f_type)))))
    }
}

fn low_half(number: i128) -> u32 {
    u32::try_from(number & 0xffff_ffff).expect("it is masked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_a_network_file_system_is_known_by_its_number_and_a_local_one_is_not_taken_for_one() {
        for magic in [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b, 0x00c3_6400] {
            assert!(matches!(FileSystem::of_magic(magic), FileSystem::Network(_)), "{magic:x}");
        }
        // ext4, xfs, btrfs, zfs, overlayfs, f2fs, bcachefs.
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x2fc1_2fc1, 0x794c_7630, 0xf2f5_2010, 0xca45_1a4e] {
            assert_eq!(FileSystem::of_magic(magic), FileSystem::Local, "{magic:x}");
        }
        assert_eq!(FileSystem::of_magic(0x6573_5546), FileSystem::Unknown("FUSE"));
        assert_eq!(FileSystem::of_magic(0x0102_1997), FileSystem::Unknown("9p"));
    }

    #[test]
    fn a_number_that_comes_negative_is_the_same_number() {
        assert_eq!(low_half(i128::from(0xff53_4d42_u32.cast_signed())), 0xff53_4d42);
        assert_eq!(low_half(0x6969), 0x6969);
    }

    #[test]
    fn a_folder_that_is_there_says_what_it_is_on() {
        let dir = tempfile::tempdir().unwrap();
        assert!(FileSystem::at(dir.path()).is_some());
        assert_eq!(FileSystem::at(&dir.path().join("nowhere")), None);
    }
}
