//! Where files are kept: in a folder of this machine, or in a bucket of an S3-compatible service. A file
//! is known by its mall and its id alone; no name that anybody chose is part of a path.

use std::{fs, io, path::PathBuf, sync::Arc};

use futures_util::TryStreamExt;
use object_store::{
    ObjectStore, PutPayload,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
    path::Path,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::kernel::ids::{PaperId, TenantId};

/// Why a file was not written, read or listed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// There is none.
    #[error("there is no such file in the store for files")]
    Missing,
    /// The folder or the bucket.
    #[error("the store for files does not work")]
    Store(#[source] object_store::Error),
    /// The folder.
    #[error("the folder for files cannot be used")]
    Folder(#[source] io::Error),
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            other => Self::Store(other),
        }
    }
}

/// A bucket of an S3-compatible service.
#[derive(Debug, Clone, Copy)]
pub struct Bucket<'a> {
    /// Its name.
    pub name: &'a str,
    /// In which region it is.
    pub region: &'a str,
    /// Where the service is; none: Amazon's.
    pub endpoint: Option<&'a str>,
    /// By which key we are known there.
    pub access_key: &'a str,
    /// And its secret.
    pub secret_key: &'a SecretString,
}

/// The store for files. A clone is the same one.
#[derive(Debug, Clone)]
pub enum Files {
    /// A folder, which is made when the first file comes.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Arc<AmazonS3>),
}

impl Files {
    /// A bucket's store; nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`FilesError::Store`] for settings that cannot be those of a bucket.
    pub fn in_bucket(bucket: &Bucket<'_>) -> Result<Self, FilesError> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket.name)
            .with_region(bucket.region)
            .with_access_key_id(bucket.access_key)
            .with_secret_access_key(bucket.secret_key.expose_secret());
        if let Some(endpoint) = bucket.endpoint {
            // A service of one's own on this machine or behind one's own wall may go without TLS.
            let plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(plain);
        }
        Ok(Self::Bucket(Arc::new(builder.build()?)))
    }

    /// Writes a file, whole or not at all; writing it again changes nothing.
    ///
    /// # Errors
    /// [`FilesError::Store`], [`FilesError::Folder`].
    pub async fn put(
        &self,
        tenant: TenantId,
        id: PaperId,
        bytes: Vec<u8>,
    ) -> Result<(), FilesError> {
        let store = self.store()?;
        store
            .put(&place(tenant, id), PutPayload::from(bytes))
            .await?;
        Ok(())
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Every [`FilesError`].
    pub async fn get(&self, tenant: TenantId, id: PaperId) -> Result<Vec<u8>, FilesError> {
        let found = self.store()?.get(&place(tenant, id)).await?;
        Ok(found.bytes().await?.to_vec())
    }

    /// Takes a file away; one that is not there is no fault.
    ///
    /// # Errors
    /// [`FilesError::Store`], [`FilesError::Folder`].
    pub async fn remove(&self, tenant: TenantId, id: PaperId) -> Result<(), FilesError> {
        match self.store()?.delete(&place(tenant, id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The ids of a mall's files; what has no id's name is none of ours.
    ///
    /// # Errors
    /// [`FilesError::Store`], [`FilesError::Folder`].
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<PaperId>, FilesError> {
        let folder = Path::from(tenant.to_string());
        let store = self.store()?;
        let found: Vec<_> = store.list(Some(&folder)).try_collect().await?;
        let id = |path: &Path| path.filename().and_then(|name| name.parse().ok());
        Ok(found.iter().filter_map(|one| id(&one.location)).collect())
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>, FilesError> {
        match self {
            Self::Bucket(bucket) => {
                let store: Arc<dyn ObjectStore> = bucket.clone();
                Ok(store)
            }
            Self::Folder(folder) => {
                own_folder(folder).map_err(FilesError::Folder)?;
                Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?))
            }
        }
    }
}

/// Makes the folder, which nobody but this login reads.
fn own_folder(folder: &PathBuf) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn place(tenant: TenantId, id: PaperId) -> Path {
    Path::from_iter([tenant.to_string(), id.to_string()])
}
