//! `guildhall user …`: account work for operators, through the same service as the API.

use std::io::BufRead;

use identity::{CreateUser, CreatedUser};
use secrecy::{ExposeSecret, SecretString};

use super::{CliResult, Failure, UserCommand, print, print_json};
use crate::compose;
use crate::config::Config;

pub async fn run(config: &Config, command: UserCommand) -> CliResult {
    let identity = compose::identity_for_cli(config).await?;
    match command {
        UserCommand::Create {
            email,
            name,
            admin,
            password_stdin,
            output,
        } => {
            let command = CreateUser {
                email,
                name,
                password: password(password_stdin)?,
                instance_admin: admin,
            };
            answer(output.json, "created", &identity.create_user(command).await?)
        }
        UserCommand::ResetPassword {
            email,
            password_stdin,
            output,
        } => answer(
            output.json,
            "password reset",
            &identity.reset_password(&email, password(password_stdin)?).await?,
        ),
        UserCommand::ResetMfa { email, output } => {
            let user_id = identity.reset_second_factor(&email).await?;
            let user = CreatedUser {
                user_id,
                email,
                generated_password: None,
            };
            answer(output.json, "second factor taken away", &user)
        }
        UserCommand::Lock { email, unlock, output } => {
            let (done, user_id) = if unlock {
                ("unlocked", identity.unlock_user(&email).await?)
            } else {
                ("locked", identity.lock_user(&email).await?)
            };
            answer(
                output.json,
                done,
                &CreatedUser {
                    user_id,
                    email,
                    generated_password: None,
                },
            )
        }
    }
}

/// The first line of standard input; `None` lets the service make one up.
fn password(from_stdin: bool) -> Result<Option<SecretString>, Failure> {
    if !from_stdin {
        return Ok(None);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::failed)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        Err(Failure::usage("no password on standard input"))
    } else {
        Ok(Some(password.to_owned().into()))
    }
}

fn answer(json: bool, done: &str, user: &CreatedUser) -> CliResult {
    let password = user.generated_password.as_ref().map(ExposeSecret::expose_secret);
    if json {
        return print_json(&serde_json::json!({ "result": done, "email": user.email, "user_id": user.user_id, "password": password }));
    }
    print(&format!("{done}: {} ({})", user.email, user.user_id))?;
    password.map_or(Ok(()), |password| print(&format!("password (shown once): {password}")))
}
