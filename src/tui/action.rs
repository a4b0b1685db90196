//! What can be asked for by a key.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Give up what is being computed, or leave when nothing is.
    Interrupt,
    /// Close what is open, or give up what is being computed.
    Escape,
    /// Open the help.
    Help,
    /// Draw the whole screen anew.
    Redraw,
    /// Put the program to sleep, as a shell does.
    Suspend,
    /// Go to the pane of this number, from 1.
    Pane(u8),
    /// Go to the next pane.
    NextPane,
    /// Go to the pane before.
    LastPane,
    /// Let the pane fill the screen, or no more.
    Zoom,
    /// Move the cursor by this many rows.
    Move(i32),
    /// Move the cursor by this many half pages.
    Page(i32),
    /// Move the cursor to the first row.
    Top,
    /// Move the cursor to the last row.
    Bottom,
    /// Do what the row under the cursor is for.
    Choose,
    /// Fold, or the one before.
    Left,
    /// Unfold, or the next one.
    Right,
    /// Step by itself, or stop doing so.
    Play,
    /// This many steps on (or back).
    Step(i32),
    /// To the first step.
    First,
    /// To the last step that is kept.
    Last,
    /// Begin a branch here.
    Fork,
    /// Open the next branch.
    Branch(i32),
    /// Show this branch beside another, or alone.
    Compare,
    /// Start the method again.
    Restart,
    /// Give up what is being computed.
    Cancel,
    /// Change the parameter under the cursor by this many notches.
    Change(i32),
    /// Change it tenfold.
    Tenfold(i32),
    /// Put its default back.
    Default,
    /// Put all defaults back.
    Defaults,
    /// Choose a method from a list.
    PickMethod,
    /// Choose a layer from a list.
    PickLayer,
    /// Choose the target class from a list.
    PickTarget,
    /// Choose a model from a list.
    PickModel,
    /// Choose a picture from a list.
    PickPicture,
    /// Ask for the path of a picture.
    OpenPicture,
    /// Look up what scripts can call.
    Reference,
    /// Choose the colours of maps from a list.
    PickColors,
    /// Turn to the next view of the figures (or the one before).
    Look(i32),
    /// Enlarge pictures by this many notches.
    Enlarge(i32),
    /// Show whole pictures again.
    Whole,
    /// Read values at a place of the pictures, or no more.
    Inspect,
    /// Turn to the next scale of maps.
    Scale,
    /// Lay more (or less) of a map over its picture.
    Strength(i32),
    /// Ask where to write the figures.
    Save,
    /// Open the script in an editor.
    Edit,
    /// Narrow a list down.
    Filter,
    /// Type a command.
    CommandLine,
    /// Show the log alone.
    ShowLog,
    /// Complete what is typed.
    Complete,
    /// Take what is typed or chosen.
    Accept,
    /// Delete the character to the left.
    Rub,
    /// Delete the character to the right.
    Delete,
    /// Delete the word to the left.
    RubWord,
    /// Delete the line.
    RubLine,
    /// Move within the line.
    Cursor(i32),
    /// To the start of the line.
    LineStart,
    /// To the end of the line.
    LineEnd,
}
